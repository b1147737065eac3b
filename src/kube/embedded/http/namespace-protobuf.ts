import { type KubeObject, NAMESPACES } from '../../kube-object.ts';
import { badRequest } from '../api-error.ts';
import type { ApiResource } from '../api-resource.ts';

/** How `kubectl create namespace` writes its body, whatever the server says it takes. */
export const PROTOBUF = 'application/vnd.kubernetes.protobuf';

const MAGIC = 'k8s\0';
const [RAW, METADATA, NAME, LABELS, ANNOTATIONS, KEY, VALUE] = [2, 1, 1, 11, 12, 1, 2];

/** Reads name, labels and annotations of a Namespace in Kubernetes' protobuf; other kinds are never sent like this. */
export function namespaceOf(body: Buffer, { type }: ApiResource): KubeObject {
  if (type !== NAMESPACES || body.toString('latin1', 0, 4) !== MAGIC)
    throw badRequest('only a Namespace can be read from protobuf here; send JSON');
  const metadata = only(fieldsOf(only(fieldsOf(body.subarray(4)), RAW)), METADATA);
  const fields = fieldsOf(metadata);
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name: only(fields, NAME).toString(),
      labels: mapOf(fields, LABELS),
      annotations: mapOf(fields, ANNOTATIONS),
    },
  };
}

type Fields = readonly (readonly [field: number, value: Buffer])[];

/** The fields of a message that have a length: texts and messages. */
function fieldsOf(message: Buffer): Fields {
  const fields: [number, Buffer][] = [];
  let offset = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = message[offset];
      if (byte === undefined) break;
      offset += 1;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw badRequest('the protobuf body of the request cannot be read');
  };
  while (offset < message.length) {
    const tag = varint();
    if ((tag & 7) === 0) varint();
    else if ((tag & 7) === 2) {
      const end = varint() + offset;
      fields.push([tag >>> 3, message.subarray(offset, end)]);
      offset = end;
    } else throw badRequest('the protobuf body of the request cannot be read');
  }
  return fields;
}

function only(fields: Fields, wanted: number): Buffer {
  return fields.find(([field]) => field === wanted)?.[1] ?? Buffer.alloc(0);
}

function mapOf(fields: Fields, wanted: number): Readonly<Record<string, string>> {
  return Object.fromEntries(
    fields
      .filter(([field]) => field === wanted)
      .map(([, entry]) => [only(fieldsOf(entry), KEY).toString(), only(fieldsOf(entry), VALUE).toString()]),
  );
}
