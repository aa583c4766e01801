// Reads lines `request|response API VERSION HEX` and answers each with what Kafka's own generated
// classes write after they have read it: hexadecimal digits, or why they could not.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.MessageUtil;

public class Echo {
    public static void main(String[] arguments) throws Exception {
        var input = new BufferedReader(new InputStreamReader(System.in));
        var output = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), false);
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            output.println(echo(line.split(" ", -1)));
        }
        output.flush();
    }

    private static String echo(String[] words) {
        try {
            ApiMessageType type = ApiMessageType.fromApiKey(Short.parseShort(words[1]));
            ApiMessage message = words[0].equals("request") ? type.newRequest() : type.newResponse();
            short version = Short.parseShort(words[2]);
            ByteBuffer bytes = ByteBuffer.wrap(HexFormat.of().parseHex(words[3]));
            message.read(new ByteBufferAccessor(bytes), version);
            if (bytes.hasRemaining()) {
                return "left over: " + bytes.remaining();
            }
            ByteBuffer again = MessageUtil.toByteBufferAccessor(message, version).buffer();
            byte[] array = new byte[again.remaining()];
            again.get(array);
            return HexFormat.of().formatHex(array);
        } catch (Exception error) {
            return "refused: " + error;
        }
    }
}
