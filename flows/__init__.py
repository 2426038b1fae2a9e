"""What people and schedules trigger: one flow a file, named by its verb."""
