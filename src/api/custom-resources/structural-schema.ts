import { z } from 'zod';
import type { CelRule } from './validation-rule.ts';

/** The part of `JSONSchemaProps` of apiextensions.k8s.io/v1 that our definitions use. */
export interface StructuralSchema {
  readonly type: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  readonly description?: string;
  readonly format?: string;
  readonly default?: unknown;
  readonly enum?: readonly (string | number | boolean)[];
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: StructuralSchema;
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly required?: readonly string[];
  readonly 'x-kubernetes-list-type'?: 'map' | 'set' | 'atomic';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-validations'?: readonly CelRule[];
}

type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * The structural schema of a custom resource, from the zod schema of the whole object. Unknown fields are pruned by the API
 * server as on every Kubernetes object, so nothing forbids them here; `metadata` keeps only what a definition may say of it.
 */
export function structuralSchemaOf(schema: z.ZodType): StructuralSchema {
  const json = z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', reused: 'inline' }) as JsonSchema;
  const { properties, required: _required, ...root } = json;
  const { spec, status, metadata } = properties as Readonly<Record<'spec' | 'status' | 'metadata', JsonSchema>>;
  const { name } = metadata['properties'] as Readonly<Record<'name', JsonSchema>>;
  return {
    ...nodeOf(root),
    properties: {
      apiVersion: { type: 'string', description: 'Version of the schema of this object: lockkeeper.dev/v1alpha1.' },
      kind: { type: 'string', description: 'Kind of the object, in CamelCase.' },
      metadata: { type: 'object', properties: { name: nodeOf(name) } },
      spec: nodeOf(spec),
      status: nodeOf(status),
    },
  };
}

function nodeOf(json: JsonSchema): StructuralSchema {
  const node: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(json)) {
    if (key === '$schema' || key === 'id' || key === 'additionalProperties') continue;
    if (key === 'properties')
      node[key] = Object.fromEntries(
        Object.entries(value as Readonly<Record<string, JsonSchema>>).map(([name, child]) => [name, nodeOf(child)]),
      );
    else if (key === 'items') node[key] = nodeOf(value as JsonSchema);
    else node[key] = value;
  }
  // Moments are checked by their format; the pattern that zod adds for them is long and says the same.
  if (node['format'] === 'date-time') delete node['pattern'];
  if (node['type'] === 'integer') node['format'] = 'int64';
  // The API server holds a default against the rules as it stands, before the defaults within are filled in.
  if (node['type'] === 'object' && 'default' in node) node['default'] = defaultsIn(node as unknown as StructuralSchema);
  const order = (key: string) => KEY_ORDER.indexOf(key);
  return Object.fromEntries(
    Object.entries(node).sort(([left], [right]) => order(left) - order(right)),
  ) as unknown as StructuralSchema;
}

function defaultsIn({ properties }: StructuralSchema): Readonly<Record<string, unknown>> {
  const entries = Object.entries(properties ?? {}).filter(([, child]) => child.default !== undefined);
  return Object.fromEntries(entries.map(([name, child]) => [name, child.default]));
}

/** What a reader looks for first stands first; rules and children come last, in the order of the schema. */
const KEY_ORDER: readonly string[] = (
  'description type format enum default minLength maxLength pattern minimum maximum maxItems x-kubernetes-list-type ' +
  'x-kubernetes-list-map-keys required x-kubernetes-validations items properties'
).split(' ');
