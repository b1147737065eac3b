import { z } from 'zod';
import type { StoredObject } from '../kube-object.ts';
import { AGE_COLUMN, type ApiResource, type Column, NAME_COLUMN } from './api-resource.ts';
import { jsonPath } from './json-path.ts';
import { METADATA_SCHEMA } from './metadata-rules.ts';
import { subdomainProblems } from './names.ts';
import type { Schema } from './schema.ts';

/** What is read of a CustomResourceDefinition of apiextensions.k8s.io/v1. */
const definitionSchema = z.object({
  kind: z.literal('CustomResourceDefinition'),
  spec: z.object({
    group: z.string().min(1),
    scope: z.enum(['Namespaced', 'Cluster']),
    names: z.object({
      plural: z.string().min(1),
      singular: z.string().optional(),
      kind: z.string().min(1),
      shortNames: z.array(z.string()).default([]),
      categories: z.array(z.string()).default([]),
    }),
    versions: z
      .array(
        z.object({
          name: z.string().min(1),
          served: z.boolean(),
          storage: z.boolean(),
          schema: z.object({ openAPIV3Schema: z.custom<Schema>((value) => typeof value === 'object') }),
          subresources: z.object({ status: z.object({}).optional() }).optional(),
          selectableFields: z.array(z.object({ jsonPath: z.string() })).default([]),
          additionalPrinterColumns: z
            .array(
              z.object({
                name: z.string(),
                type: z.enum(['string', 'integer', 'number', 'boolean', 'date']),
                format: z.string().optional(),
                description: z.string().default(''),
                priority: z.number().int().default(0),
                jsonPath: z.string(),
              }),
            )
            .optional(),
        }),
      )
      .min(1),
  }),
});

/** The kind that a CustomResourceDefinition defines, in its storage version. Throws a ZodError for what is none. */
export function customResource(definition: unknown): ApiResource {
  const { group, scope, names, versions } = definitionSchema.parse(definition).spec;
  const version = versions.find(({ storage }) => storage) ?? versions[0];
  if (version === undefined) throw new RangeError(`${names.kind} has no version.`);
  const fields = version.selectableFields.map((field) => ({
    name: field.jsonPath.replace(/^\./, ''),
    valueOf: jsonPath(field.jsonPath),
  }));
  const { openAPIV3Schema: schema } = version.schema;
  return {
    type: { group, version: version.name, plural: names.plural, kind: names.kind, namespaced: scope === 'Namespaced' },
    singular: names.singular ?? names.kind.toLowerCase(),
    shortNames: names.shortNames,
    categories: names.categories,
    schema: {
      ...schema,
      properties: {
        ...schema.properties,
        apiVersion: { type: 'string', description: 'Group and version of the kind.' },
        kind: { type: 'string', description: 'Kind of the object.' },
        metadata: metadataSchemaOf(schema),
      },
    },
    builtIn: false,
    hasStatus: version.subresources?.status !== undefined,
    hasGeneration: true,
    unconditionalUpdate: false,
    columns: [NAME_COLUMN, ...(version.additionalPrinterColumns?.map(columnOf) ?? [AGE_COLUMN])],
    selectableFields: fields.map(({ name }) => name),
    fieldValues: (object) =>
      Object.fromEntries(fields.map(({ name, valueOf }) => [name, fieldText(valueOf(object)[0])])),
    nameProblems: subdomainProblems,
    createdByPut: false,
    moreCauses: () => [],
  };
}

/** A definition may say something about the name, and about nothing else in the metadata. */
function metadataSchemaOf({ properties }: Schema): Schema {
  const { name } = properties?.['metadata']?.properties ?? {};
  const known = METADATA_SCHEMA.properties;
  return { ...METADATA_SCHEMA, properties: { ...known, name: { ...known?.['name'], ...name } } };
}

/** How a field selector compares it: texts, numbers and booleans; what is absent is empty. */
function fieldText(value: unknown): string {
  return typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value);
}

function columnOf(column: Omit<Column, 'cellOf'> & { readonly jsonPath: string }): Column {
  const { jsonPath: path, ...rest } = column;
  const valueOf = jsonPath(path);
  const cellOf = (object: StoredObject) => {
    const value = valueOf(object)[0];
    const isText = rest.type !== 'string' || value === undefined || value === null || typeof value === 'string';
    return isText ? value : JSON.stringify(value);
  };
  return { ...rest, cellOf };
}
