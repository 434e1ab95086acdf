"""Results for people: tables, figures, a page."""
