"""Inject faults into the commands, and count after how many they behave as documented."""
