"""What stands below everything: types, files, class names, the machine."""
