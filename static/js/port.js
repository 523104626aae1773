/* Messages between the page, the boss and its workers.
 *
 * Rules of this file:
 * - An endpoint is anything with postMessage and onmessage: a Worker, a worker's own scope, a MessagePort.
 * - A message is a plain object with a `type`; what is transferred is said by the sender, never guessed.
 * - A message of an unknown type, or a handler that fails (now or later), goes to onError: nothing is swallowed.
 */

/** @typedef {{type: string, [field: string]: any}} Message */
/** @typedef {{postMessage(message: any, transfer?: Transferable[]): void, onmessage: ((event: any) => void) | null}} Endpoint */
/** @typedef {{[type: string]: (message: any) => void | Promise<void>}} Handlers */

/**
 * Call the handler named by each message's type.
 * @param {Endpoint} endpoint
 * @param {Handlers} handlers
 * @param {(error: Error) => void} onError
 */
export function listen(endpoint, handlers, onError) {
  endpoint.onmessage = async ({data}) => {
    try {
      const handler = Object.prototype.hasOwnProperty.call(handlers, data?.type) && handlers[data.type];
      if (!handler) throw new Error(`a message of the unknown type ${JSON.stringify(data?.type)} arrived`);
      await handler(data);
    } catch (error) {
      onError(error instanceof Error ? error : new Error(String(error)));
    }
  };
}

/**
 * Send a message; the buffers in `transfer` belong to the receiver afterwards.
 * @param {Endpoint} endpoint
 * @param {Message} message
 * @param {Transferable[]} [transfer]
 */
export function send(endpoint, message, transfer = []) {
  endpoint.postMessage(message, transfer);
}

/**
 * Make a function that comes back once all messages that wait now have been handled (a message to oneself: browsers
 * throttle timers of hidden tabs, not messages).
 * @returns {() => Promise<void>}
 */
export function makeYield() {
  const {port1, port2} = new MessageChannel();
  /** @type {(() => void)[]} */
  const waiting = [];
  port1.onmessage = () => waiting.shift()?.();
  return () => new Promise(resolve => {
    waiting.push(resolve);
    port2.postMessage(null);
  });
}
