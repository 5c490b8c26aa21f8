"""What crawls brought home and what went wrong, as a page for people: one file, or served."""
