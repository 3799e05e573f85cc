"""The exercises of each lesson: how their answers are computed. Reading here is reading the solutions."""
