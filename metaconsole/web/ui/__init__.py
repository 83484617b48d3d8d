"""What all pages of the dashboard share: templates, languages, words, states and number formats."""
