"""Speed and accuracy comparisons; run by hand, never part of the tests."""
