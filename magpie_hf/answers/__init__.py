"""Final answers: read out of a solution, compared in processes that may be killed, counted as votes. Not imported here: stays light."""
