"""What a run keeps to show: received pictures, what each layer brings, a picture's bitplanes.

    a run's end --writing--> tables and PNG files in examples/ --reading--> figures

Whoever draws or reports reads these files alone: no codec is loaded and nothing is simulated.
"""
