import type { VNode } from "preact";
export { h, render, Fragment } from "preact";
export type { VNode, ComponentChildren } from "preact";
export { useState, useEffect, useRef, useMemo, useCallback, useId } from "preact/hooks";
export { signal, computed, effect, batch, useSignal, useComputed, useSignalEffect } from "@preact/signals";
export type { Signal, ReadonlySignal } from "@preact/signals";
export function html(strings: TemplateStringsArray, ...values: unknown[]): VNode;
