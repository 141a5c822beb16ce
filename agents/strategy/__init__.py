"""Sensors, rules and actuators: when agents look, under which condition they act, what they do; written as data in the policy. All of it is pure."""
