"""Grafana: dashboards made of the declarations, and their push into a running Grafana."""
