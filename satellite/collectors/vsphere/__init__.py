"""Collector `vsphere`: a vCenter or an ESXi host, over one session. Not complete yet, and not among the collectors."""
