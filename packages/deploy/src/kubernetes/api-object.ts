import type { Source } from "./source.ts";

/** What we say about an object. */
export interface ObjectMetadata {
  name: string;
  namespace?: string;
  labels: Record<string, string>;
  annotations?: Record<string, string>;
}

/** Any Kubernetes object. */
export interface ApiObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMetadata;
}

/** An object and the switch that it depends on, if any. */
export type ObjectFactory = (source: Source) => ApiObject;

export const PART_OF = "cloister";
/** Prefix of our own annotations and labels. `.local` belongs to nobody. */
export const DOMAIN = "cloister.local";
export const MEASUREMENT_ANNOTATION = `${DOMAIN}/measurement`;

/** Labels that pick a Deployment's pods. They never change: a selector cannot. */
export function selectorLabels(source: Pick<Source, "text">): Record<string, string> {
  return { "app.kubernetes.io/name": "cloister-replica", "app.kubernetes.io/instance": source.text("name") };
}

/** Name, namespace and the labels that every object carries, so that all of them can be found and deleted. */
export function metadataOf(source: Source, name: string): ObjectMetadata {
  return { ...clusterMetadataOf(source, name), namespace: source.text("namespace") };
}

/** The same for objects without a namespace. */
export function clusterMetadataOf(source: Source, name: string): ObjectMetadata {
  return { name, labels: commonLabels(source) };
}

export function commonLabels(source: Pick<Source, "text">): Record<string, string> {
  return {
    ...selectorLabels(source),
    "app.kubernetes.io/part-of": PART_OF,
    // Names are unique in a namespace only; what lies outside of all has to say whose it is.
    [`${DOMAIN}/namespace`]: source.text("namespace"),
  };
}

/** An object's name for people. */
export function describeObject({ kind, metadata: { namespace, name } }: ApiObject): string {
  return `${kind} ${namespace === undefined ? "" : `${namespace}/`}${name}`;
}
