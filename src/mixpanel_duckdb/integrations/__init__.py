"""What other packages bring and take: one module for each, none imported before it is needed."""
