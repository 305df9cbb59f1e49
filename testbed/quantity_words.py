"""Durations and sizes as people say them."""

from __future__ import annotations


def duration_words(seconds: float) -> str:
    """Such as "under 1 s", "21 s", "7 min", "2 h 10 min", "3 days"."""
    if seconds < 1:
        return "under 1 s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours / 24:.0f} days"


def size_words(n_bytes: float) -> str:
    """Such as "812 bytes", "1.5 KiB", "240 MiB", "2.1 GiB"."""
    if n_bytes < 1024:
        return f"{n_bytes:.0f} bytes"
    power = 1 + (n_bytes >= 999.5 * 1024) + (n_bytes >= 999.5 * 1024**2)
    number = n_bytes / 1024**power
    words = f"{number:.1f}" if number < 9.95 else f"{number:.0f}"
    return f"{words} {('KiB', 'MiB', 'GiB')[power - 1]}"


def rate_words(per_s: float) -> str:
    """Such as "210 per s", "2.1 per s", "12 per min"."""
    if per_s >= 9.95:
        return f"{per_s:.0f} per s"
    return f"{per_s:.1f} per s" if per_s >= 0.5 else f"{60 * per_s:.2g} per min"
