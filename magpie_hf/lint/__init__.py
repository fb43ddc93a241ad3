"""What is found in rows and cards before they are uploaded, as lines of complaint. Not here: publishing them."""
