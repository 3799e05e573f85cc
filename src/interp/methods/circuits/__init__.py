"""Circuits: discovery, faithfulness, completeness and minimality, and the files they are kept in."""
