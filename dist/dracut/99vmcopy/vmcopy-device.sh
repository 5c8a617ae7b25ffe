#!/bin/sh
# Devices have settled: the capture, if its own is among them.
vmcopy-kdump device
