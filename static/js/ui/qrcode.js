// The one door to qrcode-generator, loaded only when somebody asks for a QR code.
export { default } from "../../vendor/qr.js";
