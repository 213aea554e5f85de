"""The results of trainings, and the tables and the page that are generated from them alone."""
