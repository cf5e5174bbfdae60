#!/bin/sh
echo "user $SHOP_USER, password $SHOP_PASSWORD"
