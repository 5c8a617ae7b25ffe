#!/bin/sh
# Nothing more will appear, or all is mounted: the capture, if it was not before.
vmcopy-kdump last
