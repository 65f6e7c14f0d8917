// Line icons, 24 units square, drawn for this page. They never stand alone: each control has its name in text too.
import type { JSX } from "preact";

function Icon({ children }: { children: JSX.Element | JSX.Element[] }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

const Slash = (): JSX.Element => <path d="M4 4l16 16" />;
const MicBody = (): JSX.Element => (
  <g>
    <rect x="9" y="3" width="6" height="11" rx="3" />
    <path d="M5.5 11.5a6.5 6.5 0 0013 0M12 18v3" />
  </g>
);
const CameraBody = (): JSX.Element => (
  <g>
    <rect x="3" y="6.5" width="12.5" height="11" rx="2.5" />
    <path d="M15.5 10.5L21 7.5v9l-5.5-3" />
  </g>
);

export const Mic = (): JSX.Element => (
  <Icon>
    <MicBody />
  </Icon>
);
export const MicOff = (): JSX.Element => (
  <Icon>
    <MicBody />
    <Slash />
  </Icon>
);
export const Pin = (): JSX.Element => (
  <Icon>
    <path d="M9 4h6l-1 6 3 3v2H7v-2l3-3-1-6zM12 15v5" />
  </Icon>
);
export const Camera = (): JSX.Element => (
  <Icon>
    <CameraBody />
  </Icon>
);
export const CameraOff = (): JSX.Element => (
  <Icon>
    <CameraBody />
    <Slash />
  </Icon>
);
export const Screen = (): JSX.Element => (
  <Icon>
    <rect x="3" y="4.5" width="18" height="12" rx="2" />
    <path d="M8.5 20.5h7M12 13.5v-6M9.25 10L12 7.25 14.75 10" />
  </Icon>
);
export const Chat = (): JSX.Element => (
  <Icon>
    <path d="M4 5.5h16v11H11l-4.5 3.5v-3.5H4z" />
  </Icon>
);
export const People = (): JSX.Element => (
  <Icon>
    <circle cx="9" cy="8.5" r="3.25" />
    <path d="M3 19.5c.4-3.4 2.8-5.25 6-5.25s5.6 1.85 6 5.25M15.5 5.6a3.25 3.25 0 010 5.8M17.5 14.75c2 .7 3.2 2.3 3.5 4.75" />
  </Icon>
);
export const Leave = (): JSX.Element => (
  <Icon>
    <path d="M3.5 14.5c4.8-5 12.2-5 17 0l-2 2.5-3.75-1.5v-2.6a11 11 0 00-5.5 0v2.6L5.5 17z" />
  </Icon>
);
export const LinkIcon = (): JSX.Element => (
  <Icon>
    <path d="M10 14a4 4 0 005.7 0l3.1-3.1a4 4 0 00-5.7-5.7L12 6.3M14 10a4 4 0 00-5.7 0l-3.1 3.1a4 4 0 005.7 5.7L12 17.7" />
  </Icon>
);
export const Close = (): JSX.Element => (
  <Icon>
    <path d="M6 6l12 12M18 6L6 18" />
  </Icon>
);
export const Alert = (): JSX.Element => (
  <Icon>
    <path d="M12 4L2.8 19.5h18.4z" />
    <path d="M12 10v4.5M12 16.8v.2" />
  </Icon>
);

/** The mark: a round table with a keyhole (con clave, "with a key"). */
export const Mark = (): JSX.Element => (
  <svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
    <path class="mark-ring" d="M16 3a13 13 0 1013 13" />
    <circle class="mark-seat" cx="25.2" cy="6.8" r="2.6" />
    <path class="mark-hole" d="M16 10.5a3.5 3.5 0 00-1.7 6.56L13.2 22h5.6l-1.1-4.94A3.5 3.5 0 0016 10.5z" />
  </svg>
);
