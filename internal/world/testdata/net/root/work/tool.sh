#!/bin/sh
echo "it is $TOOL"
