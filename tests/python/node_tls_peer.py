"""What gRPC's own Python packages (tools/peers.txt) find at a node over TLS: its health, and the inventory by
reflection. Arguments: address, CA's certificate, the client's certificate and its key. Writes JSON."""
import json
import sys

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

INVENTORY = "opi_api.inventory.v1.InventoryService"


def main():
    at, *files = sys.argv[1:]
    ca, certificate, key = (open(name, "rb").read() for name in files)
    channel = grpc.secure_channel(at, grpc.ssl_channel_credentials(ca, key, certificate))
    health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    method = DescriptorPool(ProtoReflectionDescriptorDatabase(channel)).FindServiceByName(
        INVENTORY).methods_by_name["GetInventory"]
    request, reply = (message_factory.GetMessageClass(one) for one in (method.input_type, method.output_type))
    inventory = channel.unary_unary(f"/{INVENTORY}/GetInventory", request_serializer=request.SerializeToString,
                                    response_deserializer=reply.FromString)(request(), timeout=10)
    print(json.dumps({"health": health.status, "inventory": json_format.MessageToDict(inventory)}))


main()
