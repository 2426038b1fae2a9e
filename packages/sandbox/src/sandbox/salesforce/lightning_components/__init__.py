"""Lightning web components of a package, run in the browser as they are."""
