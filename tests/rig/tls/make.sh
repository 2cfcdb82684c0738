#!/usr/bin/env bash
# make.sh DIR: writes the certificates of the tests into a directory. They protect nothing: everybody can make them.
set -euo pipefail
cd "$1"
days=3650

quiet() { "$@" >log 2>&1 || { cat log >&2; exit 1; }; }

authority() {
  quiet openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days "$days" -subj "/CN=$2" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout "$1.key" -out "$1.pem"
}

# signed NAME SUBJECT EXTENSION...: a pair that ca.pem has signed. The key is in PKCS #8, which every client reads.
signed() {
  local name=$1 subject=$2
  shift 2
  quiet openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$subject" -keyout "$name.key" -out "$name.csr"
  printf '%s\n' "basicConstraints=CA:FALSE" "$@" >"$name.ext"
  quiet openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days "$days" -extfile "$name.ext" \
    -out "$name.pem"
}

authority ca "Weft test authority"
authority other-ca "An authority that nobody trusts"
signed server "/CN=localhost" "subjectAltName=DNS:localhost,IP:127.0.0.1" "extendedKeyUsage=serverAuth"
signed client "/CN=weft-client" "extendedKeyUsage=clientAuth"

# The same for Java, which calls a certificate trusted only when its own tool says so.
quiet openssl pkcs12 -export -in server.pem -inkey server.key -certfile ca.pem -name server -passout pass:weftrig -out server.p12
quiet openssl pkcs12 -export -in client.pem -inkey client.key -certfile ca.pem -name client -passout pass:weftrig -out client.p12
quiet keytool -importcert -noprompt -alias ca -file ca.pem -keystore ca.p12 -storetype PKCS12 -storepass weftrig

rm -f log ./*.csr ./*.ext ./*.srl ca.key other-ca.key
# Brokers that run as a user of their own read them too.
chmod 644 ./*
