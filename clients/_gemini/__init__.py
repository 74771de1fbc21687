"""What the Gemini client and the Gemini engine share."""
