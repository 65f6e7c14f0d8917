/** The engine panicked: it must not be called any more. */
export class EngineDied extends Error {}
