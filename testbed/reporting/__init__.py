"""What is made of a run's folder: a report, tables and words for papers. None of its code runs."""
