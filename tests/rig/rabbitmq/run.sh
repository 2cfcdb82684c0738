#!/bin/sh
# run.sh PACKAGES DIR EPMD_PORT DIST_PORT: runs the RabbitMQ below PACKAGES, in the foreground and on loopback alone, with its
# configuration and its data in DIR. The package's own script leaves a port mapper behind; here it dies with the broker.
set -eu
packages=$1 dir=$2
export ERL_EPMD_PORT="$3" ERL_EPMD_ADDRESS=127.0.0.1 RABBITMQ_DIST_PORT="$4"
erlang=$packages/usr/lib/erlang
server=$(echo "$packages"/usr/lib/rabbitmq/lib/rabbitmq_server-*)

# The cookie lies there.
export HOME="$dir"
export RABBITMQ_NODENAME="rabbit-$4@localhost" RABBITMQ_LOGS=-
export RABBITMQ_MNESIA_BASE="$dir/data" RABBITMQ_MNESIA_DIR="$dir/data/node"
export RABBITMQ_CONFIG_FILE="$dir/rabbitmq.conf" RABBITMQ_ENABLED_PLUGINS_FILE="$dir/enabled_plugins"
export RABBITMQ_PLUGINS_DIR="$server/plugins" ERL_LIBS="$server/plugins"
export ERL_MAX_ETS_TABLES=50000 ERL_MAX_PORTS=4096

# The shell becomes the broker, and the kernel ends the mapper with the process that started it.
setpriv --pdeathsig KILL "$erlang"/erts-*/bin/epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 &
exec "$erlang/bin/erl" -noinput -s rabbit boot -boot start_sasl +W w +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none \
  -syslog logger '[]' -syslog syslog_error_logger false \
  -kernel inet_dist_use_interface '{127,0,0,1}' -kernel prevent_overlapping_partitions false
