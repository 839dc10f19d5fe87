"""The benchmark: the gateway, a bare sink and Mosquitto under the same load, in one run. See docs/benchmarks.md."""
