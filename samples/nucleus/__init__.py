"""Cell nuclei of the 2018 Data Science Bowl."""
