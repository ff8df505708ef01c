"""The demo: a team for the telecom, and the playbook that stands in for a language model."""
