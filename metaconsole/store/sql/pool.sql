-- listen
LISTEN nephoscope_live
