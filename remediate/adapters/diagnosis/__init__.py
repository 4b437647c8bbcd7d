"""Diagnosis: what can be read of a target when something is wrong with it. Changes nothing."""
