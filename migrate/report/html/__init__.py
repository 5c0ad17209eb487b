"""report.html: one file that shows what report.json says, made to be forwarded (decision 0045)."""
