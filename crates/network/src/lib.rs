//! Bridges, addresses, firewall, ports: is handed a network namespace, knows no containers.
