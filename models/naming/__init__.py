"""Naming: which known corruption does a stream look like, how strongly, or does it look like none of them?"""
