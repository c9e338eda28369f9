"""`smos panel`: the founder's commands by WhatsApp. The web server is imported by `http` only."""
