"""Forms of the registry's pages; they check shape, services check meaning."""
