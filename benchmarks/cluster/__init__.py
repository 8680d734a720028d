"""A simulated cluster: the site's own placement and resources functions against others, on equal jobs."""
