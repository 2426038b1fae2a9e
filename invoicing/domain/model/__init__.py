"""Invoices, money, dates and states: what both systems mean by them."""
