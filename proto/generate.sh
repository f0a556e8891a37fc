#!/bin/sh
# generate.sh PROTOC-C SOURCES WELL-KNOWN OUT FILE... -- KNOWN...: C for each file below OUT/tree, with them
# once more in OUT itself, where Meson wants them; and OUT/descriptors, all files as one
# FileDescriptorSet for server reflection.
set -eu
protoc=$1 sources=$2 known=$3 out=$4
shift 4
files=
while [ "$1" != -- ]; do
    files="$files $1"
    shift
done
shift
rm -rf "$out/tree"
mkdir -p "$out/tree/grpc/reflection/v1alpha"
# The older name of the reflection service, for older clients, has the same messages.
sed 's/^package grpc.reflection.v1;/package grpc.reflection.v1alpha;/' \
    "$sources/grpc/reflection/v1/reflection.proto" >"$out/tree/grpc/reflection/v1alpha/reflection.proto"
"$protoc" -I "$sources" -I "$known" --c_out="$out/tree" $files "$@"
find "$out/tree" -name '*.pb-c.[ch]' -exec cp {} "$out" \;
"$protoc" -I "$sources" -I "$out/tree" -I "$known" --include_imports --descriptor_set_out="$out/descriptors" \
    $files grpc/reflection/v1alpha/reflection.proto
