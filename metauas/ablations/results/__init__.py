"""Results of a sweep: tables, paired comparisons, figures and pages."""
