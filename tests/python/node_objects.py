"""Calls of a node's services by gRPC's own Python packages (tools/peers.txt), which learn of them by reflection:
`node_objects.py HOST:PORT`, then a line of JSON for each call, {"service": .., "method": .., "request": {..}}. Each is
answered by a line: {"reply": {..}} or {"code": .., "text": ..}."""
import json
import sys

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase


def call(channel, pool, service, method, request):
    found = pool.FindServiceByName(f"opiml.v1alpha1.{service}").methods_by_name[method]
    message = json_format.ParseDict(request, message_factory.GetMessageClass(found.input_type)())
    reply = channel.unary_unary(f"/opiml.v1alpha1.{service}/{method}",
                                request_serializer=type(message).SerializeToString,
                                response_deserializer=message_factory.GetMessageClass(found.output_type).FromString)
    return json_format.MessageToDict(reply(message, timeout=20))


def main():
    channel = grpc.insecure_channel(sys.argv[1])
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    for line in sys.stdin:
        wanted = json.loads(line)
        try:
            answer = {"reply": call(channel, pool, wanted["service"], wanted["method"], wanted["request"])}
        except grpc.RpcError as error:
            answer = {"code": error.code().name, "text": error.details()}
        print(json.dumps(answer), flush=True)


main()
